-- SPDX-License-Identifier: MIT
-- running.lua - a portion of the jobs that are at workers. Changes nothing.
--
-- ARGV: how many to skip, how many to return. Returns {how many there were, job...}, each job {id,
-- key, worker, attempt, started, cancelled, age, lease left}.

local time = now()
local page = redis.call('ZRANGE', LEASES, ARGV[1], ARGV[1] + ARGV[2] - 1, 'WITHSCORES')
local answer = {#page / 2}
for i = 1, #page, 2 do
    local key, worker, attempts, started, cancel, taken = unpack(redis.call('HMGET',
        P .. 'job:' .. page[i], 'key', 'worker', 'attempts', 'started', 'cancel', 'taken'))
    if worker then
        answer[#answer + 1] = {
            page[i], key or '', worker, tonumber(attempts or 0) + (started and 0 or 1),
            started and 1 or 0, cancel and 1 or 0, time - taken, page[i + 1] - time,
        }
    end
end
return answer
