/** One screen: 40 lines of 80 columns. A test holds it against the options that there are. */
export const HELP = `Usage: badass [options] TARGET...
Reads one HTTP head per connection, picks a target, then passes raw bytes.

TARGET: PORT  HOST:PORT  [IPV6]:PORT  unix:PATH  dns:NAME:PORT  srv:NAME
  then any of ,weight=N ,backup ,id=NAME ,max-connections=N ,tls[=insecure]
  ,send-proxy[=2]
Traffic
  --listen ADDRESS         PORT, HOST:PORT or unix:PATH; repeatable [8080]
  --tls-cert, --tls-key FILE   PEM, to serve TLS; repeat both for SNI
  --forwarded              tell backends of the client by X-Forwarded-* fields
  --trust LIST             whose X-Forwarded-* to believe: IPs, CIDRs, unix
  --proxy-protocol LIST    who puts a PROXY header first: IPs, CIDRs, unix
  --every-request          balance each request, not each connection
Balancing
  --algorithm NAME         round-robin, least-connections, random-two or hash
  --key KEY                what hash goes by: client, path or header:NAME
  --sticky[=NAME]          bring clients back to their backend, by a cookie
  --secret-file FILE       keys of the cookie: one a line, the first makes it
  --failover MODE          home down: redispatch (another) or persist (503)
  --health CHECK           tcp or /path, then any of ,interval=2s ,timeout=1s
                           ,rise=2 ,fall=3 ,status=200-399 ,host=NAME
  --dns-server IP          ask this server; repeatable
  --dns-interval TIME      look names up so often, not by their TTL
Operation
  --config FILE            the same as JSON, or a JS module with hooks
  --admin [HOST:]PORT      page with live graphs, /metrics and /healthz
  --admin-token-file FILE  the token that changing anything takes
  --log FORMAT             a line a connection: none, text or json
  --grace TIME             on SIGTERM, for open connections [30s]
  --workers N              processes that serve; auto: one for each core [1]
  -h, --help     -V, --version
Limits (TIME: ms, or with ms, s, m, h; 0: none)
  --head-timeout TIME [30s]      --connect-timeout TIME [10s]
  --idle-timeout TIME [0]        --response-head-timeout TIME [0]
  --max-head-bytes N [16384]     --half-close-timeout TIME [1m]
  --max-fields N [128]           --lenient-responses   mend response heads
Examples
  badass 3001 3002,weight=2 3003,backup
  badass --listen 80 --sticky --health /healthz --admin 9000 app1:80 app2:80
  badass --listen 443 --tls-cert a.pem --tls-key a.key dns:app.internal:3000
`
