import { describe, expect, it } from 'vitest'
import { Secret, type TenureId } from '../../src/core/index.ts'
import type { GatewayStream } from '../../src/gateway/index.ts'
import { Resends, resendKey } from '../../src/gateway/resends.ts'

// Worked out by another implementation of SHA-256. They are in the databases of those who run Hearthlock: when one of
// them changes, a device that sends again after the update is recorded twice. Change the code back, not the values.
describe('the stored digest of a message', () => {
  const resends = new Resends({
    stream: {} as GatewayStream,
    tenureId: '01890a5d-ac96-774b-bcce-b302099a8057' as TenureId,
    secrets: [resendKey(new Secret('a secret of any length'))],
  })
  const hex = (key: string) => Buffer.from(key, 'latin1').toString('hex')

  it('by packet identifier, topic and payload is the same in every release', () => {
    const key = resends.keyOfPacket('attributes', 0x1234, Buffer.from('{"OnOff.OnOff":true}'))
    expect(hex(key)).toBe('3f3f40a85211c0720e9a65a0d578a34d')
  })

  it('by $id is the same in every release', () => {
    expect(hex(resends.keyOfMessageId('m-1'))).toBe('762f47c44ed56360cdfed88756759622')
  })
})
