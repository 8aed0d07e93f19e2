#!/usr/bin/env node
// Plain JavaScript, so that an older Node can still say what is missing.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `hearthlock needs Node 24 or later; this is ${process.versions.node}. In a checkout, "npx hearthlock …" brings its own.`,
  )
  process.exit(1)
}
const { runCli } = await import('../src/cli/index.ts')
process.exitCode = await runCli(process.argv.slice(2))
