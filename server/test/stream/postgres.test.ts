import { describe } from 'vitest'
import { streamContract } from './contract.ts'
import { postgresLog } from './support.ts'

describe('the stream in PostgreSQL', () => streamContract(postgresLog))
