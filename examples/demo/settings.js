/** The demo's settings: a config file of the command. */
export default {
  // Set the sticky cookie beside the application's own only. When that is deleted, the home is forgotten.
  sticky: { insert: false },
  // While all backends restart, requests wait.
  queue: '10s',
  grace: '3s',
  // Answered by badass itself. All other requests go to the backends.
  routes: [
    { path: '/old', redirect: '/' },
    {
      path: '/hello',
      respond: { headers: { 'Content-Type': 'text/plain' }, body: 'Hello from badass: no backend was asked.\n' },
    },
  ],
}
