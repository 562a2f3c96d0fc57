export { Primary } from './primary.ts'
