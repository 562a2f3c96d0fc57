import type { Usage } from '../common/proc.ts'
import type { Result } from '../common/results.ts'

/** Where a peer runs. */
interface Place {
  /** The program that runs peers of Node.js. */
  node: string
  /** The core that the peer has to itself. */
  cpu: number
  /** The backend's port on 127.0.0.1. */
  backend: number
  /** A temporary folder of the peer's own. */
  directory: string
}

/** A running proxy. */
export interface Running {
  /** The port on 127.0.0.1. */
  port: number
  version: string
  /** Its current processes. */
  pids(): number[]
  stop(): Promise<void>
}

/** A proxy with one configuration. */
export interface Peer {
  name: string
  /** One name for several peers. They run only if they are named. */
  group?: string
  kind: Result['kind']
  reads: NonNullable<Result['reads']>
  /** What is special about its configuration; one line. */
  note: string
  /** The workloads that it takes part in, by name or group; by default all. */
  only?: readonly string[]
  /** A field that it adds to the first response of a connection. */
  sets?: readonly [name: string, value: string]
  /** Whether it sets and follows a sticky cookie. */
  isSticky?: boolean
  /** No proxy at all, as a baseline for latency. */
  isBaseline?: boolean
  start(place: Place): Promise<Running>
}

/** What a workload gets for one round. */
export interface Round {
  /** The peer's port on 127.0.0.1. */
  port: number
  /** The backend's port on 127.0.0.1. */
  backend: number
  /** How long the round should take. */
  seconds: number
  /** The core for the load and the backend. */
  cpu: number
  /** The peer's CPU time since it started, and its memory now. */
  usage(): Usage
}

/** The result of one round. */
export interface Sample {
  /** Units of work that were done. */
  units: number
  seconds: number
  /** CPU seconds of the peer, if not those of the whole round. */
  cpu?: number
  /** ms. */
  latency?: { p50: number; p99: number; p999: number }
  /** Bytes of memory for each unit, in workloads that measure memory instead of CPU time. */
  memory?: number
}

/** A kind of load. */
export interface Workload {
  name: string
  /** One name for several workloads: 'scale' means 'scale 10', 'scale 100' and so on. */
  group?: string
  /** What it does; one line. */
  title: string
  /** The unit of the figure; it begins with µs, ms or KB. */
  unit: string
  backend: 'nginx' | 'echo' | 'sink'
  /** Whether every round needs a peer that has just started. */
  isFresh?: boolean
  /** Whether peers of Node.js get some seconds of load before the first round. */
  wantsWarmUp?: boolean
  /** Whether the peer can do this work. */
  suits(peer: Peer): boolean
  /** Checks the peer's answer before anything is timed. @throws {Error} when it is wrong */
  check(port: number, peer: Peer): Promise<void>
  run(round: Round): Promise<Sample>
}
