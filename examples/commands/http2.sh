# HTTP/2 to the gRPC server on port 50051, HTTP/1.1 to port 3001
badass --listen 443 --tls-cert a.pem --tls-key a.key --alpn h2,http/1.1 3001 50051,protocol=h2

# The same by server name: browsers get HTTP/1.1 for all other names
badass --listen 443 --tls-cert a.pem --tls-key a.key --alpn h2,http/1.1 --route grpc.example.com=50051,protocol=h2 3001
