export { type Catalogue, type CatalogueEntry, createCatalogue } from './catalogue.ts'
