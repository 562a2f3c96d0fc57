/** The demo's settings, in the place of a config file. */
export default {
  // Beside the application's own cookie only: where that is deleted, the home is forgotten.
  sticky: { insert: false },
  // A browser keeps its connections: so every page of it is a choice of a backend.
  everyRequest: true,
  grace: '3s',
}
