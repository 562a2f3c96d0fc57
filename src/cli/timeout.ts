/** Settles as `promise` does, or as `onTimeout` does after `ms`. */
export async function withTimeout<T, L>(promise: Promise<T>, ms: number, onTimeout: () => L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    return await Promise.race([promise, late.then(onTimeout)])
  } finally {
    clearTimeout(timer)
  }
}
