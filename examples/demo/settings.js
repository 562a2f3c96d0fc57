/** The demo's settings: a config file of the command. */
export default {
  // Set the sticky cookie beside the application's own only. When that is deleted, the home is forgotten.
  sticky: { insert: false },
  grace: '3s',
}
