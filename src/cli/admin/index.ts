export { type AdminOptions, type Controls, createAdmin, type Workers } from './server.ts'
