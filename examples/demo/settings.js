/** The demo's settings: a config file of the command. */
export default {
  // Set the sticky cookie beside the application's own only. When that is deleted, the home is forgotten.
  sticky: { insert: false },
  // While all backends restart, requests wait.
  queue: '10s',
  grace: '3s',
}
