import { spawn } from 'node:child_process'

/** Tries to show an address in the person's browser. Where that does not work, they open what was printed. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv): void {
  const graphical = process.platform !== 'linux' || env.DISPLAY || env.WAYLAND_DISPLAY
  if (!graphical) return
  const command = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const child = spawn(command, [url], { stdio: 'ignore', detached: true, env })
  child.on('error', () => {})
  child.unref()
}
