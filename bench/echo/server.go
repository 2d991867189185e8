// SPDX-License-Identifier: MIT

// What examples/echo_server.c does, with net: a goroutine for each connection. A loop of reads and
// writes: between two sockets io.Copy would hold a pipe for each of them, two descriptors more.
package main

import (
	"fmt"
	"log"
	"net"
	"time"
)

func echo(c net.Conn) {
	defer c.Close()
	bytes := make([]byte, 512)
	for {
		if c.SetReadDeadline(time.Now().Add(time.Minute)) != nil {
			return
		}
		n, err := c.Read(bytes)
		if err != nil {
			return
		}
		if _, err := c.Write(bytes[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	for {
		c, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(c)
	}
}
