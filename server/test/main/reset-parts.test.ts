import { describe, expect, it } from 'vitest'
import { AppError, type CopyId, newId, type TenureId } from '../../src/core/index.ts'
import { touchedBy } from '../../src/main/reset-parts.ts'

describe('whom a reset of a store reaches', () => {
  const copyId = newId<CopyId>()
  const tenures = Array.from({ length: 12_001 }, () => newId<TenureId>())
  const insight = {
    copy: async (name: string) => {
      if (name !== 'quality') throw new AppError('not_found')
      return { copyId } as never
    },
    ledger: {
      touched: async (id: CopyId) =>
        id === copyId ? tenures.map((tenureId) => ({ tenureId, fields: [] })) : [],
    },
  }

  it('is whom the ledger of the copy names, each once', async () => {
    const found: TenureId[] = []
    for await (const some of touchedBy(insight)('quality')) found.push(...some)
    expect(found).toEqual(tenures)
  })

  it('is refused for a store that there is not', async () => {
    await expect(touchedBy(insight)('other').next()).rejects.toMatchObject({
      code: 'not_found',
      message: 'There is no such store.',
    })
  })
})
