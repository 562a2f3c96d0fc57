# Clients come back to their backend, backends are checked, the admin page is at http://127.0.0.1:9000/
badass --sticky --health /healthz --admin 9000 app1:3000 app2:3000

# TLS ends at badass; the backend learns who the client is from X-Forwarded-For
badass --listen 443 --tls-cert a.pem --tls-key a.key --forwarded unix:/run/app.sock

# One backend for each address of a DNS name, such as a headless service of Kubernetes
badass --sticky --secret-file secrets --log json dns:app.internal:3000

# The same user goes to the same backend, without a cookie
badass --algorithm hash --key header:X-User 3001 3002,weight=2 3003,backup

# Hosts and paths with backends of their own
badass --route api.example.com=3001,3002 --route /static/=3003 3000

# One process for each core
badass --workers auto --listen 80 3001 3002

# Everything from a file
badass --config badass.json
