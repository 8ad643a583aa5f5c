package main

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pingpong: with apart both goroutines are locked to threads of their own.
func pingpong(capacity, workers int, apart bool) {
	runtime.GOMAXPROCS(workers)
	if apart {
		runtime.LockOSThread()
	}
	steps(func(n int) time.Duration {
		there, back := make(chan int, capacity), make(chan int, capacity)
		go func() {
			if apart {
				runtime.LockOSThread()
			}
			for i := 0; i < n; i++ {
				back <- <-there + 1
			}
		}()
		start := time.Now()
		for i := 0; i < n; i++ {
			there <- i
			if <-back != i+1 {
				panic("value")
			}
		}
		return since(start)
	})
}

func through(capacity, senders, receivers, workers int) {
	runtime.GOMAXPROCS(workers)
	rate(func(n int) time.Duration {
		c := make(chan int, capacity)
		var sending, receiving sync.WaitGroup
		var got int64
		start := time.Now()
		for k := 0; k < receivers; k++ {
			receiving.Add(1)
			go func() {
				mine := 0
				for range c {
					mine++
				}
				atomic.AddInt64(&got, int64(mine))
				receiving.Done()
			}()
		}
		for k := 0; k < senders; k++ {
			sending.Add(1)
			go func() {
				for i := 0; i < n/senders; i++ {
					c <- i
				}
				sending.Done()
			}()
		}
		sending.Wait()
		close(c)
		receiving.Wait()
		if int(got) != n {
			panic("count")
		}
		return since(start)
	})
}

const inFlight = 64

// hand moves buffers to the consumer and back: only a word of each is touched, or every byte is
// written and read ("full").
func hand(length int, mode string) {
	runtime.GOMAXPROCS(1)
	full := mode == "full"
	var pattern [2][]byte
	for k := range pattern {
		pattern[k] = bytes.Repeat([]byte{byte(k)}, length)
	}
	ns := least(func(n int) time.Duration {
		there, back := make(chan []byte, inFlight), make(chan []byte, inFlight)
		for i := 0; i < inFlight; i++ {
			back <- make([]byte, length)
		}
		start := time.Now()
		go func() {
			for i := 0; i < n; i++ {
				b := <-back
				if full {
					copy(b, pattern[i&1])
				}
				b[0] = byte(i)
				there <- b
			}
		}()
		for i := 0; i < n; i++ {
			b := <-there
			// The search reads every byte, several at a time.
			if b[0] != byte(i) || full && bytes.IndexByte(b[1:], 0xff) >= 0 {
				panic("value")
			}
			back <- b
		}
		return since(start)
	})
	figure("time", ns, "ns")
	figure("logical", float64(length)/ns, "GB/s")
}

func two(c []chan int) (int, int) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	}
}

func eight(c []chan int) (int, int) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	case v := <-c[2]:
		return 2, v
	case v := <-c[3]:
		return 3, v
	case v := <-c[4]:
		return 4, v
	case v := <-c[5]:
		return 5, v
	case v := <-c[6]:
		return 6, v
	case v := <-c[7]:
		return 7, v
	}
}

// choose: "ready" has a message in every channel and puts it back; "feed" has a sender.
func choose(arms int, mode string) {
	runtime.GOMAXPROCS(1)
	one := two
	if arms == 8 {
		one = eight
	}
	steps(func(n int) time.Duration {
		c := make([]chan int, arms)
		for k := range c {
			c[k] = make(chan int, 64)
		}
		if mode == "ready" {
			for k := range c {
				c[k] <- 1
			}
			start := time.Now()
			for i := 0; i < n; i++ {
				k, v := one(c)
				c[k] <- v + 1
			}
			return since(start)
		}
		start := time.Now()
		go func() {
			for i := 0; i < n; i++ {
				c[i%arms] <- i
			}
		}()
		for i := 0; i < n; i++ {
			one(c)
		}
		return since(start)
	})
}
