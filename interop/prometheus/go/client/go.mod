module client

go 1.25

require github.com/prometheus/client_golang v1.25.0
