import { describe, expect, test } from 'vitest'
import { checkTemplate, fillTemplate, usualTemplate } from '../../src/guard/notice-template.ts'

const least = 'From {{from}} to {{to}}: {{fields}}'

describe('a template for letters', () => {
  test('the usual one is one', () => {
    expect(checkTemplate(usualTemplate)).toBe(usualTemplate.trim())
  })

  test.each([
    ['', 'empty'],
    [`${least}\nDear {{nmae}}`, 'Line 2: {{nmae}} is none of {{name}}'],
    ['Dear {{name}}, {{from}} to {{to}}', 'lacks {{fields}} (which of their data it was)'],
    [`${least} {{name`, 'not closed'],
    [`${least} name}}`, 'not closed'],
    [`${least}\n\u001b[2J`, 'Line 2 has a control character'],
    [`${least}\u202e`, 'control character'],
    [`${least}${'x'.repeat(8_000)}`, 'longer than 8000'],
  ])('%j is refused, and says what is wrong', (template, message) => {
    expect(() => checkTemplate(template)).toThrow(message)
  })

  test('what a person is called is never read as a placeholder', () => {
    const fields = { name: '{{fields}}', store: 's', from: 'a', to: 'b', fields: '- x\n- y' }
    expect(fillTemplate('Dear {{ name }},\n{{fields}}', fields)).toEqual(['Dear {{fields}},', '- x', '- y'])
  })
})
