/** At most 60 lines of 80 columns. A test holds it against the options that there are. */
export const HELP = `Usage: badass [options] TARGET...                    -h, --help   -V, --version
Reads the heads of HTTP messages, picks a target, then passes raw bytes.

TARGET: PORT  HOST:PORT  [IPV6]:PORT  http(s)://HOST[:PORT]  unix:PATH
  dns:NAME:PORT  srv:NAME
  then any of ,weight=N ,backup ,id=NAME ,max-connections=N ,tls[=insecure]
  ,send-proxy[=2] ,host=NAME ,protocol=h2|both
Traffic
  --listen ADDRESS         PORT, HOST:PORT, unix:PATH[,mode=660][,group=NAME] or
                           fd:NAME (LISTEN_FDS), then ,tls; repeatable [8080]
  --tls-cert, --tls-key FILE   PEM, for listeners with ,tls, or for all if none
                           has it; repeat both for SNI
  --tls-min-version V      1.2 or 1.3 [1.2]   --alpn LIST   offer h2, http/1.1
  --tls-client-ca FILE     ask for a certificate of this CA; sends Client-Cert
  --tls-client-verify MODE   required or optional [required]
  --request-id             set X-Request-Id and traceparent
  --redirect-https[=PORT]  answer plain HTTP with a redirect to https
  --forwarded[=FORM]       send X-Forwarded-* (x), Forwarded (rfc7239) or both
  --trust LIST             peers whose fields of that count: IPs, CIDRs, unix
  --proxy-protocol LIST    peers that send a PROXY header: IPs, CIDRs, unix
  --requests MODE          read first (of a connection), every or auto [auto]
  --http2 MODE             pass or refuse [pass, unless requests must be seen]
  --lenient-responses      repair response heads that break the rules
Balancing
  --route ROUTE            [HOST][/PATH]=TARGET,TARGET; repeatable
  --algorithm NAME         round-robin, least-connections, random-two or hash
  --key KEY                for hash: client, path, header:, cookie:, query:NAME
  --sticky[=NAME]          keep each client at one backend by a cookie
  --secret-file FILE       keys that sign the cookie, one per line, newest first
  --failover MODE          if a client's backend is down: redispatch or persist
  --queue TIME[,size=N]    wait so long if all backends are full or down
  --slow-start TIME        backend comes up: grow its share for so long [0]
  --retries N              no response: ask N other backends, if safe [0]
  --eject N[,min=10s][,max=5m][,status=502-504]   skip a backend after N
                           failures in a row, for a time that doubles
  --health CHECK           tcp or /path, then any of ,interval=2s ,timeout=1s
                           ,rise=2 ,fall=3 ,status=200-399 ,host=NAME ,port=N
                           ,fast=TIME ,drain-status=404
  --dns-server IP          DNS server; repeatable
  --dns-interval, --dns-hold TIME   between look-ups; to keep a removed name
Operation
  --config FILE            the same as JSON, or a JS module with hooks
  --check                  check config, certificates and secrets, then exit
  --admin [HOST:]PORT      page with live graphs, /metrics and /healthz
  --admin-token-file FILE  its token     --admin-requests   keep slow requests
  --log FORMAT             access log: none, text, json or combined
  --log-file FILE          to a file instead of stdout; SIGUSR1 opens it again
  --grace TIME             limit of the drain after SIGTERM [30s]
  --shutdown-delay TIME    wait before the drain; /healthz says 503 [0]
  --workers N              processes that serve; auto: one for each core [1]
Limits (TIME: ms, or with ms, s, m, h; 0: none)
  --head-timeout TIME [30s]      --connect-timeout TIME [10s]
  --idle-timeout TIME [1h]       --response-head-timeout TIME [0; every: 1m]
  --max-head-bytes N [32768]     --half-close-timeout TIME [1m]
  --max-fields N [1000]          --max-connections N   clients; then 503
  --max-connections-per-client N   of each address; then 429
  --rate N/s[,burst=N]     requests of each address, also N/m or N/h; then 429
Examples
  badass --listen 80 --sticky --health /healthz --admin 9000 app1:80 app2:80
  badass --listen 443 --tls-cert a.pem --tls-key a.key dns:app.internal:3000
`
