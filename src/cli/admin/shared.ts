/** Requests that come while an answer is being made share it: the cost does not grow with their number. */
export function shared<T>(make: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  return () => {
    underWay ??= make().finally(() => {
      underWay = undefined
    })
    return underWay
  }
}
