export { type AdminOptions, type Controls, createAdmin } from './server.ts'
