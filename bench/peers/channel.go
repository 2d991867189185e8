// SPDX-License-Identifier: MIT

// channel.go: Go's channels do what bench/channel.c measures, and say how many nanoseconds it took.
//
//	channel CAPACITY PAIRS NUMBERS     each of PAIRS goroutines sends NUMBERS, as many receive
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func number(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		os.Exit(1)
	}
	return n
}

func main() {
	if len(os.Args) != 4 {
		os.Exit(1)
	}
	capacity, pairs, numbers := number(1), number(2), number(3)
	channel := make(chan uint64, capacity)
	sums := make([]uint64, pairs)
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := 0; i < pairs; i++ {
		group.Add(2)
		go func() {
			defer group.Done()
			<-begin
			for n := 1; n <= numbers; n++ {
				channel <- uint64(n)
			}
		}()
		go func(i int) {
			defer group.Done()
			<-begin
			var sum uint64
			for n := 0; n < numbers; n++ {
				sum += <-channel
			}
			sums[i] = sum
		}(i)
	}
	start := time.Now()
	close(begin)
	group.Wait()
	elapsed := time.Since(start)
	var sum uint64
	for _, s := range sums {
		sum += s
	}
	if sum != uint64(pairs)*uint64(numbers)*uint64(numbers+1)/2 {
		os.Exit(1)
	}
	fmt.Println(elapsed.Nanoseconds())
}
