import { InvalidArgumentError } from 'commander'

/** Reads an option or argument that is a whole number; Commander says which one was wrong. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < low || value > high || text.trim() === '') {
      throw new InvalidArgumentError(`A whole number from ${low} to ${high}, please.`)
    }
    return value
  }
}
