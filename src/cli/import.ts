/** Imports a module. If file descriptors run out, prints one line instead of a stack and exits. */
export async function importOrExit<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EMFILE' && code !== 'ENFILE') throw error
    process.stderr.write(
      `badass: cannot start: out of file descriptors (${code}); raise the limit, for example with ulimit -n 1024\n`,
    )
    process.exit(1)
  }
}
