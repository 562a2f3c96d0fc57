export { drawCharts } from './charts.ts'
export { saveResults } from './save.ts'
export { printTable } from './table.ts'
