# Port 80 redirects to port 443
badass --listen 80 --listen 443,tls --tls-cert a.pem --tls-key a.key --redirect-https --forwarded 3001
