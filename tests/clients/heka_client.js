// Sends every kind of message that npm's heka knows.
//
// heka_client.js udp HOST PORT protobuf|json [sha1|md5 SIGNER KEY_VERSION KEY]
"use strict";

// From where the client was installed, not from where this file is.
const heka = require(require.resolve("heka", { paths: [process.cwd()] }));

const [, , transport, host, port, encoder, hash, signer, keyVersion, key] = process.argv;

function sendAll(client) {
    client.heka("custom", {
        logger: "other", severity: 5, payload: "café ☃ \u0000 end", timestamp: new Date(1351534282500),
        fields: { int: -1, float: 1.5, bool: true, text: "ü", list: [1, 2] }
    });
    client.heka("bare");
    client.incr("hits", { count: 3 });
    client.incr("hits", { logger: "web", severity: 2, fields: { host: "a1" } });
    client.timer_send(250, "query", {});
    client.timer(function() {}, "timed", {})();
    client.heka("large", { payload: "x".repeat(9000) });
    client.debug("debug");
    client.info("info");
    client.warn("warn");
    client.error("error");
    client.exception("exception");
    client.critical("critical");
}

const sender = {
    factory: "./senders:" + transport + "SenderFactory", hosts: host, ports: Number(port),
    encoder: "./senders/encoders:" + encoder + "Encoder"
};
if (hash) {
    sender.hmc = { hash_function: hash, signer: signer, key_version: Number(keyVersion), key: key };
}
const client = heka.clientFromJsonConfig(JSON.stringify({ logger: "myapp", sender: sender }));

// Greets until standard input says `go`; standard input says `end` when everything has arrived.
let round = 0;
const greeting = setInterval(function() {
    client.heka("greeting", { payload: String(round++ % 10) });
}, 5);
require("readline").createInterface({ input: process.stdin }).on("line", function(line) {
    if (line === "go") {
        clearInterval(greeting);
        sendAll(client);
    } else {
        process.exit(0);
    }
});
