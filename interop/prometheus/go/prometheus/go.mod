module peers

go 1.25

require github.com/prometheus/prometheus v0.315.0
