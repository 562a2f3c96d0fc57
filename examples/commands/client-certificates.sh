# Only clients with a certificate of the CA get in. The backend reads it from Client-Cert
badass --listen 443 --tls-cert a.pem --tls-key a.key --tls-client-ca ca.pem 3001
