export { standardIo } from './output.ts'
export { Service } from './service.ts'
