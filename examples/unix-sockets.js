// @ts-check
import { createServer } from 'badass'

createServer((head) => ({ path: `/tmp/${head.get('host')?.startsWith('blog.') ? 'blog' : 'shop'}.sock` })).listen(8080)
