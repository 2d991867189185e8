// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// What one worker has run, on a cache line of its own.
type tally struct {
	count, sum uint64
	_          [48]byte
}

func (t *tally) add(value uint64) {
	t.count++
	t.sum += value
}

// For goroutines that are not workers: which of these a task takes depends on its argument.
var shared [64]tally

func addShared(value uint64) {
	t := &shared[value%uint64(len(shared))]
	atomic.AddUint64(&t.count, 1)
	atomic.AddUint64(&t.sum, value)
}

func check(right bool, what string) {
	if !right {
		fmt.Fprintln(os.Stderr, "WRONG:", what)
		os.Exit(1)
	}
}

// Called when nobody writes any more.
func checkTallies(tallies []tally, count, sum uint64) {
	for i := range tallies {
		count -= tallies[i].count
		sum -= tallies[i].sum
	}
	check(count == 0, "not every task ran once")
	check(sum == 0, "the tasks got other arguments")
}

func sumTo(n uint64) uint64 {
	return n * (n + 1) / 2
}

var began = time.Now()

func now() int64 {
	return int64(time.Since(began))
}

func sleepUntil(at int64) {
	if left := at - now(); left > 0 {
		time.Sleep(time.Duration(left))
	}
}

// The number in a line "key   number kB" of /proc/self/status.
func readStatus(key string) uint64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "/proc/self/status cannot be read")
	for _, line := range bytes.Split(text, []byte("\n")) {
		if bytes.HasPrefix(line, []byte(key)) {
			kilobytes, err := strconv.ParseUint(string(bytes.Fields(line)[1]), 10, 64)
			check(err == nil, "/proc/self/status has no number")
			return kilobytes
		}
	}
	return 0
}

func resetPeak() {
	err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	check(err == nil, "the peak of memory cannot be reset")
}

type usage struct {
	cpu, switches int64
}

func readUsage() usage {
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil, "getrusage failed")
	return usage{r.Utime.Nano() + r.Stime.Nano(), r.Nvcsw}
}

func printMetric(name string, value float64) {
	fmt.Printf("%s %.6g\n", name, value)
}

func printUsage(before usage, tasks uint64) {
	after := readUsage()
	printMetric("switches_per_task", float64(after.switches-before.switches)/float64(tasks))
	printMetric("cpu_ns_per_task", float64(after.cpu-before.cpu)/float64(tasks))
}

func printDelays(delays []int64) {
	sort.Slice(delays, func(i, k int) bool { return delays[i] < delays[k] })
	check(delays[0] >= 0, "a task started before its submit, or never")
	at := func(p float64) float64 {
		return float64(delays[int(math.Ceil(p*float64(len(delays))))-1]) / 1000
	}
	printMetric("p50_us", at(0.5))
	printMetric("p99_us", at(0.99))
	printMetric("p999_us", at(0.999))
}

// Its pages are there.
func makeStamps(n uint64) []int64 {
	stamps := make([]int64, n)
	for i := range stamps {
		stamps[i] = -1
	}
	return stamps
}

func cannot(why string) {
	fmt.Println("cannot", why)
	os.Exit(3)
}

//go:noinline
func work(seed, steps uint64) uint64 {
	x := seed
	for i := uint64(0); i < steps; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

var workSink uint64

// How many steps take ns, as measured now on an undisturbed stretch.
func workSteps(ns float64) uint64 {
	const tries, steps = 200, 20000
	best := int64(math.MaxInt64)
	for i := 0; i < tries; i++ {
		start := now()
		workSink = work(workSink, steps)
		if elapsed := now() - start; elapsed < best {
			best = elapsed
		}
	}
	return uint64(ns * steps / float64(best))
}

func fibValue(n uint64) uint64 {
	a, b := uint64(0), uint64(1)
	for i := uint64(0); i < n; i++ {
		a, b = b, a+b
	}
	return a
}

func fibCalls(n uint64) uint64 {
	return 2*fibValue(n+1) - 1
}

// Times fib, once small and once in earnest.
func runFib(fib func(n uint64) uint64, n uint64) {
	warm := uint64(12)
	if n < 20 {
		warm = n / 2
	}
	check(fib(warm) == fibValue(warm), "a wrong sum")
	before := readUsage()
	start := now()
	value := fib(n)
	printMetric("ns_per_call", float64(now()-start)/float64(fibCalls(n)))
	printUsage(before, fibCalls(n))
	check(value == fibValue(n), "a wrong sum")
}

type parcel struct {
	value, doubled uint64
}

func (p *parcel) deliver() {
	p.doubled = 2 * p.value
}

// Times n trips; a trip delivers the parcels and returns when all are.
func runTrips(trip func(parcels []parcel), group int, n uint64) {
	parcels := make([]parcel, group)
	wrong := 0
	one := func(first uint64) {
		for i := range parcels {
			parcels[i] = parcel{value: first + uint64(i)}
		}
		trip(parcels)
		for i := range parcels {
			if parcels[i].doubled != 2*(first+uint64(i)) {
				wrong++
			}
		}
	}
	for i := uint64(1); i <= warmUpCalls; i++ {
		one(i)
	}
	before := readUsage()
	start := now()
	for i := uint64(1); i <= n; i++ {
		one(i)
	}
	tasks := n * uint64(group)
	printMetric("ns_per_task", float64(now()-start)/float64(tasks))
	printUsage(before, tasks)
	check(wrong == 0, "a task had not run when its wait returned")
}
