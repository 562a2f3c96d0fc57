/** Where a peer runs, and what it stands before. */
export interface Place {
  /** The `node` that runs a peer of Node's. */
  node: string
  /** The core that the peer has to itself. */
  cpu: number
  /** The port of the backend, on 127.0.0.1. */
  backend: number
  /** A folder of its own, for configs and sockets; taken away afterwards. */
  directory: string
}

/** A proxy that runs. */
export interface Running {
  /** Where it listens, on 127.0.0.1. */
  port: number
  /** All its processes, as of now. */
  pids(): number[]
  /** Its version, as it says it. */
  version: string
  stop(): Promise<void>
}

/** A proxy, as one configures it. */
export interface Peer {
  /** 'badass', 'badass modify', 'haproxy http', 'nginx stream', 'http-proxy', 'net pipe'. */
  name: string
  kind: 'badass' | 'npm' | 'native'
  /** Whether it reads each request, the first one of a connection, or none. */
  reads: 'each request' | 'one head' | 'nothing'
  /** What is worth knowing of its configuration; one line. */
  note: string
  /** The workloads that it is for, by name or group; all of them where not said. */
  only?: readonly string[]
  /** A field that the first response of a connection has of it. */
  sets?: readonly [name: string, value: string]
  /** Whether it sets a cookie of its own, and goes by it. */
  isSticky?: boolean
  /** Whether there is no proxy: its latency is what others are held against, and it has no cost. */
  isBaseline?: boolean
  start(place: Place): Promise<Running>
}

/** What a workload is given. */
export interface Round {
  /** Where the peer listens, on 127.0.0.1. */
  port: number
  /** Where the backend listens, on 127.0.0.1. */
  backend: number
  /** How long to work, in seconds, where that is not given by the work. */
  seconds: number
  /** Whether it is to be over soon. */
  isShort: boolean
  /** The core for the load (and for the backend). */
  cpu: number
  /** The peer's CPU time since it started (seconds) and its resident memory (bytes), now. */
  usage(): { cpu: number; memory: number }
}

/** What came of it. */
export interface Sample {
  /** Units of work done. */
  units: number
  /** Seconds that took. */
  seconds: number
  /** CPU seconds of the peer, where the time that counts is not that of the whole round. */
  cpu?: number
  /** ms. */
  latency?: { p50: number; p99: number; p999: number }
  /** Bytes of resident memory for each unit, where that is what is asked. */
  memory?: number
}

/** A kind of load. */
export interface Workload {
  /** What takes it in where it is asked for by one name with others: 'scale' is 'scale 10', 'scale 100', ... */
  group?: string
  /** Whether each round wants a peer that has just started. */
  isFresh?: boolean
  /** Whether some seconds of it go before the first round, for what the peer compiles at first. */
  wantsWarmUp?: boolean
  /** 'keep-alive', 'one request a connection', 'pipelined', 'websocket 64 B', 'download', 'upload', 'idle tunnels', 'latency'. */
  name: string
  /** What it does, for people; one line. */
  title: string
  /** What the figure that counts is by: 'µs of CPU a request', 'ms of CPU a GB', 'KB a tunnel'. */
  unit: string
  backend: 'nginx' | 'echo' | 'sink'
  /** Whether it is work that this peer can do. */
  suits(peer: Peer): boolean
  /** Throws where the peer does not answer right. Goes before anything is timed. */
  check(port: number, peer: Peer): Promise<void>
  run(round: Round): Promise<Sample>
}
