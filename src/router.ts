// The entry `badass/router`.
export * from './router/index.ts'
