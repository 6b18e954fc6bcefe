-- wrk: polls of one finished prediction, its path in URL_PATH.
function init(args)
    wrk.path = os.getenv("URL_PATH")
end

function done(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %.3f %.3f\n",
        summary.requests, summary.duration,
        summary.errors.status,
        summary.errors.connect + summary.errors.read + summary.errors.write +
        summary.errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
