/** What becomes of what a device did in a tenure: the former household may read it on, or its key is destroyed. */
export type History = 'kept' | 'destroyed'

/** `erased`: with the household itself. */
export type TenureEnd = 'released' | 'transferred' | 'reset' | 'disputed' | 'erased'
