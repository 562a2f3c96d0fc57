import {
  AggregatorRegistry,
  collectDefaultMetrics,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'

/** The metrics of one process, in a form that can be sent to another. */
export type ProcessMetrics = MetricObjectWithValues<MetricValue<string>>[]

let registry: Registry | undefined

/** Starts measuring on the first call. It cannot be stopped again. */
function processRegistry(): Registry {
  if (!registry) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
    // Gauges with the suffix of counters: promtool refuses them. They are sums of other metrics.
    for (const name of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${name}_total`)
  }
  return registry
}

/** CPU, memory and event loop of this process, as Prometheus text. */
export async function processMetricsText(): Promise<string> {
  return processRegistry().metrics()
}

/** The same with a `worker` label, for `joinMetrics`. */
export async function processMetrics(worker: string): Promise<ProcessMetrics> {
  const registry = processRegistry()
  registry.setDefaultLabels({ worker })
  return registry.getMetricsAsJSON()
}

/** Joins the metrics of several processes into one Prometheus text. */
export async function joinMetrics(processes: readonly ProcessMetrics[]): Promise<string> {
  // The `worker` label keeps samples apart, so 'sum' adds nothing up. The default 'omit' would drop the start time.
  const all = processes.map((metrics) => metrics.map((metric) => ({ ...metric, aggregator: 'sum' as const })))
  return AggregatorRegistry.aggregate(all).metrics()
}
