/** Whether a response begins a tunnel: a 101, or a 2xx to CONNECT (RFC 9110 7.8, 9.3.6). `method`: that of the request. */
export function isTunnel(method: string | undefined, status: number | undefined): boolean {
  if (status === undefined) return false
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300)
}
