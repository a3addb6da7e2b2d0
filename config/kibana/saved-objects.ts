// What Kibana imports (Stack Management ▸ Saved Objects ▸ Import) to show one environment's lines: a data view over the
// alias, a search with the columns of a log, and a dashboard. One JSON object per line; ids follow from the alias, so that
// importing again replaces. docs/kibana.md has the steps.

export interface SavedObject {
  type: 'index-pattern' | 'search' | 'visualization' | 'dashboard'
  id: string
  attributes: Record<string, unknown>
  references: { type: string; id: string; name: string }[]
  /** The form that these attributes have: a newer Kibana brings them up to date from there. */
  typeMigrationVersion: string
  coreMigrationVersion: string
}

const CORE_VERSION = '8.8.0'
const SOURCE_REFERENCE = 'kibanaSavedObjectMeta.searchSourceJSON.index'
const FILTER_REFERENCE = 'kibanaSavedObjectMeta.searchSourceJSON.filter[0].meta.index'
/** Columns of a dashboard's grid. */
const GRID_COLUMNS = 48
const TOP_VALUES = 20
const DROPPED_LEVEL = 'dropped'

export const COLUMNS = ['log.level', 'host.name', 'service.name', 'message']

/** @param alias  what is searched: `bucktail-<env>-recent`, or that of a history */
export function savedObjects(alias: string): SavedObject[] {
  const shows = [
    { id: 'volume', title: 'Lines over time, by level', height: 14, width: GRID_COLUMNS, state: volume() },
    { id: 'levels', title: 'Levels', height: 16, width: GRID_COLUMNS / 3, state: ranking('log.level', 'none') },
    { id: 'hosts', title: 'Hosts with most lines', height: 16, width: GRID_COLUMNS / 3, state: ranking('host.name') },
    {
      id: 'apps',
      title: 'Applications with most lines',
      height: 16,
      width: GRID_COLUMNS / 3,
      state: ranking('service.name'),
    },
  ]
  return [
    {
      type: 'index-pattern',
      id: alias,
      attributes: { title: alias, name: alias, timeFieldName: '@timestamp', sourceFilters: '[]', fieldAttrs: '{}' },
      references: [],
      typeMigrationVersion: '8.0.0',
      coreMigrationVersion: CORE_VERSION,
    },
    {
      type: 'search',
      id: `${alias}-lines`,
      attributes: {
        title: `${alias}: lines`,
        description: 'Lines of logs, the newest first.',
        columns: COLUMNS,
        sort: [['@timestamp', 'desc']],
        grid: {},
        hideChart: false,
        kibanaSavedObjectMeta: { searchSourceJSON: searchSource([withoutDropped()]) },
      },
      references: [dataView(alias), dataView(alias, FILTER_REFERENCE)],
      typeMigrationVersion: '8.0.0',
      coreMigrationVersion: CORE_VERSION,
    },
    ...shows.map(
      ({ id, title, state }): SavedObject => ({
        type: 'visualization',
        id: `${alias}-${id}`,
        attributes: {
          title: `${alias}: ${title}`,
          description: '',
          version: 1,
          uiStateJSON: '{}',
          visState: JSON.stringify({ title, ...state }),
          kibanaSavedObjectMeta: { searchSourceJSON: searchSource() },
        },
        references: [dataView(alias)],
        typeMigrationVersion: '8.0.0',
        coreMigrationVersion: CORE_VERSION,
      }),
    ),
    {
      type: 'dashboard',
      id: `${alias}-overview`,
      attributes: {
        title: `${alias}: overview`,
        description: 'How many lines, how serious, from where.',
        panelsJSON: JSON.stringify(panels(shows)),
        optionsJSON: JSON.stringify({ useMargins: true, hidePanelTitles: false }),
        timeRestore: true,
        timeFrom: 'now-24h',
        timeTo: 'now',
        version: 1,
        kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify({ query: KQL, filter: [withoutDropped()] }) },
      },
      references: [
        ...shows.map(({ id }) => ({ type: 'visualization', id: `${alias}-${id}`, name: `${id}:panel_${id}` })),
        dataView(alias, FILTER_REFERENCE),
      ],
      typeMigrationVersion: '8.0.0',
      coreMigrationVersion: CORE_VERSION,
    },
  ]
}

/** As an import file. */
export function savedObjectsText(alias: string): string {
  return savedObjects(alias)
    .map(object => `${JSON.stringify(object)}\n`)
    .join('')
}

const KQL = { query: '', language: 'kuery' }

function searchSource(filter: unknown[] = []): string {
  return JSON.stringify({ query: KQL, filter, indexRefName: SOURCE_REFERENCE })
}

/**
 * What settings of a tailer dropped lies as stretches of `*` in the index (docs/dropping.md); searches of bucktail leave them
 * out. A filter of its own, so that whoever wants to see them switches it off in the filter bar.
 */
function withoutDropped(): Record<string, unknown> {
  const field = 'log.level'
  return {
    $state: { store: 'appState' },
    meta: {
      ...{ alias: 'without what was dropped', type: 'phrase', key: field, params: { query: DROPPED_LEVEL } },
      ...{ negate: true, disabled: false, indexRefName: FILTER_REFERENCE },
    },
    query: { match_phrase: { [field]: DROPPED_LEVEL } },
  }
}

function dataView(alias: string, name = SOURCE_REFERENCE): SavedObject['references'][number] {
  return { type: 'index-pattern', id: alias, name }
}

const COUNT = { id: '1', enabled: true, type: 'count', schema: 'metric', params: {} }

function terms(id: string, schema: string, field: string, missing?: string) {
  const params = {
    ...{ field, orderBy: '1', order: 'desc', size: TOP_VALUES, otherBucket: true, otherBucketLabel: 'other' },
    ...(missing !== undefined && { missingBucket: true, missingBucketLabel: missing }),
  }
  return { id, enabled: true, type: 'terms', schema, params }
}

function volume(): Record<string, unknown> {
  const time = { field: '@timestamp', interval: 'auto', min_doc_count: 1, useNormalizedEsInterval: true }
  return {
    type: 'histogram',
    aggs: [
      COUNT,
      { id: '2', enabled: true, type: 'date_histogram', schema: 'segment', params: time },
      terms('3', 'group', 'log.level', 'none'),
    ],
    params: {
      type: 'histogram',
      addLegend: true,
      addTooltip: true,
      addTimeMarker: false,
      legendPosition: 'right',
      grid: { categoryLines: false },
      categoryAxes: [
        {
          id: 'CategoryAxis-1',
          type: 'category',
          position: 'bottom',
          show: true,
          scale: { type: 'linear' },
          labels: { show: true, truncate: 100 },
          title: {},
        },
      ],
      valueAxes: [
        {
          id: 'ValueAxis-1',
          name: 'LeftAxis-1',
          type: 'value',
          position: 'left',
          show: true,
          scale: { type: 'linear', mode: 'normal' },
          labels: { show: true },
          title: { text: 'lines' },
        },
      ],
      seriesParams: [
        { show: true, type: 'histogram', mode: 'stacked', data: { id: '1', label: 'lines' }, valueAxis: 'ValueAxis-1' },
      ],
    },
  }
}

function ranking(field: string, missing?: string): Record<string, unknown> {
  return {
    type: 'table',
    aggs: [COUNT, terms('2', 'bucket', field, missing)],
    params: { perPage: 10, showPartialRows: false, showTotal: false, totalFunc: 'sum', percentageCol: '' },
  }
}

/** From left to right, then down. */
function panels(shows: { id: string; width: number; height: number }[]): Record<string, unknown>[] {
  let [x, y, rowHeight] = [0, 0, 0]
  return shows.map(({ id, width, height }) => {
    if (x + width > GRID_COLUMNS) {
      x = 0
      y += rowHeight
      rowHeight = 0
    }
    const gridData = { x, y, w: width, h: height, i: id }
    x += width
    rowHeight = Math.max(rowHeight, height)
    return {
      version: '8.8.0',
      type: 'visualization',
      gridData,
      panelIndex: id,
      embeddableConfig: {},
      panelRefName: `panel_${id}`,
    }
  })
}
