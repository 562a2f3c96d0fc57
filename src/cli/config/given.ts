import type { Path } from './read.ts'
import type { Settings } from './settings.ts'

export type Key = keyof Settings

/** The settings of the command line, and those of line and file together. The line wins. */
export interface Given {
  line: Settings
  settings: Settings
  /** Names a place in the settings. */
  nameOf(path: Path): string
  /** Names the place that a setting comes from. */
  placeOf(key: Key): string
}
