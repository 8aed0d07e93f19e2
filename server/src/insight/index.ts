import type { Migrations } from '../core/index.ts'

export { type Catalogue, type CatalogueEntry, createCatalogue } from './catalogue.ts'
export type { ConnectionCount } from './derive.ts'
export type { AskAsStranger } from './destinations/stranger.ts'
export type { Copy, CopyState, Feed, Feeds, Grain, Insight, Ledger, NewCopy, Touched } from './face.ts'
export type { ConnectionCounts } from './filler.ts'
export { createInsight, type InsightOptions } from './insight.ts'
export type { Metric, MetricAnswer } from './metrics/metric.ts'

export const insightMigrations: Migrations = {
  room: 'insight',
  folder: new URL('./migrations/', import.meta.url),
}
