/** The error for a hook's wrong result. Its stack would not show the hook, which has returned, so it has none. */
export function hookError(message: string): TypeError {
  const error = new TypeError(message)
  error.stack = `TypeError: ${message}`
  return error
}
