import { type Command, Option } from 'commander'
import { fieldClasses } from '../core/index.ts'
import { fieldCatalogue } from '../main/index.ts'
import type { CliContext } from './context.ts'
import { print, table } from './terminal.ts'

interface Choice {
  class?: string
  copyable?: true
  json?: true
}

/** What a field is to people, for those who make a copy. Needs no server. */
export function addCatalogueCommand(program: Command, { terminal }: CliContext): void {
  program
    .command('catalogue [words]')
    .description(
      'list every field of every event and record with its class; only metric and public ones can be named in a copy',
    )
    .summary('which field is what to people')
    .addOption(new Option('--class <class>', 'fields of this class only').choices(fieldClasses))
    .option('--copyable', 'fields that a copy may name')
    .option('--json', 'for programs')
    .action(async (words: string | undefined, choice: Choice) => {
      const { entries } = await fieldCatalogue()
      const found = entries.filter(
        (entry) =>
          (words === undefined || entry.field.toLowerCase().includes(words.toLowerCase())) &&
          (choice.class === undefined || entry.class === choice.class) &&
          (!choice.copyable || entry.copyable),
      )
      if (choice.json) {
        const shown = found.map(({ field, of, class: is, copyable }) => ({ field, of, class: is, copyable }))
        print(terminal, JSON.stringify(shown, null, 2))
        return
      }
      table(terminal, {
        header: ['FIELD', 'OF', 'CLASS', 'IN COPIES'],
        rows: found.map(({ field, of, class: is, copyable }) => [field, of, is, copyable ? 'yes' : 'never']),
        none: 'There is no such field.',
      })
    })
}
