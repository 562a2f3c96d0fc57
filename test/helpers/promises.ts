/** A thenable that is not a Node promise. */
export function thenable<T>(
  // biome-ignore lint/suspicious/noExplicitAny: the test chooses the type
  then: (done: (value: any) => void, failed: (cause: unknown) => void) => unknown,
): Promise<T> {
  return { then } as unknown as Promise<T>
}

/** A promise that a test settles. */
export function deferred<T>() {
  let resolve: (value: T) => void = () => undefined
  let reject: (cause: unknown) => void = () => undefined
  const promise = new Promise<T>((...both) => {
    ;[resolve, reject] = both
  })
  return { promise, resolve, reject }
}
