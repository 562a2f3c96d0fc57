badass --sticky --health /healthz --admin 9000 app1:3000 app2:3000
