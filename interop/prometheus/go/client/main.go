// A service as client_golang has it: every kind of metric, native histograms among them, with values that do not change.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests \"of\" all\nkinds."}, []string{"path", "code"})
	level := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tank.level", Help: "A name with a dot."}, []string{"tank.name"})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Help: "Classic.", Buckets: []float64{0.1, 1, 10}})
	native := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "native_seconds", Help: "Native.", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"path"})
	both := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "both_seconds", Help: "Both.", Buckets: []float64{0.5, 5}, NativeHistogramBucketFactor: 1.5,
	})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "summary_seconds", Help: "Quantiles.", Objectives: map[float64]float64{0.5: 0.05, 0.99: 0.001}, MaxAge: time.Hour})
	registry.MustRegister(requests, level, classic, native, both, summary)

	exemplar := prometheus.Labels{"trace_id": "5b8aa5a2d2c872e8321cf37308d69df2"}
	requests.WithLabelValues("/a", "200").(prometheus.ExemplarAdder).AddWithExemplar(42, exemplar)
	requests.WithLabelValues("/ü \"x\" \\ \n", "500").Add(0.5)
	level.WithLabelValues("north").Set(-1.25)
	for i := 0; i < 1000; i++ {
		value := float64(i%37)*0.31 - 0.5
		classic.(prometheus.ExemplarObserver).ObserveWithExemplar(value, exemplar)
		native.WithLabelValues("/a").Observe(value)
		both.Observe(value)
		summary.Observe(value)
	}
	native.WithLabelValues("/none")
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
