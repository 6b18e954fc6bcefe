-- wrk: unique pictures, one a request. The picture is the file PICTURE; what
-- makes it another one each time is a run of bytes in it that UNIQUE_AT names
-- (a comment, or pixels).
--
--   PICTURE=x.bmp UNIQUE_AT=54 URL_PATH=/... CONTENT_TYPE=image/bmp WAIT=5 \
--       wrk -s upload.lua URL

local file = assert(io.open(os.getenv("PICTURE"), "rb"))
local picture = file:read("*a")
file:close()
local at = tonumber(os.getenv("UNIQUE_AT"))
local head, tail = picture:sub(1, at), picture:sub(at + 17)
local threads = {}

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

function init(args)
    local seed = os.time() % 100000
    count = 0
    prefix = string.format("%05d%02d", seed, number)
    headers = { ["Content-Type"] = os.getenv("CONTENT_TYPE") }
    if os.getenv("WAIT") then
        headers["Prefer"] = "wait=" .. os.getenv("WAIT")
    end
    target = os.getenv("URL_PATH")
    unfinished = 0
end

function request()
    count = count + 1
    return wrk.format("POST", target, headers,
                      head .. prefix .. string.format("%09d", count) .. tail)
end

-- Only a finished prediction counts.
function response(status)
    if status ~= 200 then
        unfinished = unfinished + 1
    end
end

-- Requests, microseconds, not finished, broken connections, median and 99th
-- percentile of the time in ms.
function done(summary, latency)
    local bad = 0
    for _, thread in ipairs(threads) do
        bad = bad + thread:get("unfinished")
    end
    io.write(string.format("RESULT %d %d %d %d %.3f %.3f\n",
        summary.requests, summary.duration, bad,
        summary.errors.connect + summary.errors.read + summary.errors.write +
        summary.errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
