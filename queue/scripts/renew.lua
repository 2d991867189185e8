-- SPDX-License-Identifier: MIT
-- renew.lua - renews the leases of a worker; after a broken connection also gives back what was
-- taken in its name without its knowing.
--
-- ARGV: worker, lease, whether what is not named is given back (1 or 0), then for each job id,
-- token, and the attempt if its handler was called, else 0.
-- Returns for each job 1: renewed; 0: lost; 2: renewed, and to be cancelled.
--
-- Invariant: only the owner renews. A lease that is over, but that nobody took, is renewed too.

local worker, lease, time = ARGV[1], tonumber(ARGV[2]), now()
local answer, named = {}, {}
insist()
redis.call('ZADD', P .. 'workers', time + lease, worker)
for i = 4, #ARGV, 3 do
    local id = ARGV[i]
    local job = P .. 'job:' .. id
    local token, cancel, started = unpack(redis.call('HMGET', job, 'token', 'cancel', 'started'))
    named[id] = true
    if token ~= ARGV[i + 1] then
        answer[#answer + 1] = 0
    else
        redis.call('ZADD', LEASES, time + lease, id)
        if ARGV[i + 2] ~= '0' and not started then
            redis.call('HSET', job, 'started', '1', 'attempts', ARGV[i + 2])
        end
        answer[#answer + 1] = cancel and 2 or 1
    end
end
if ARGV[3] == '1' and redis.call('EXISTS', JOBS) == 1 then
    for _, pending in ipairs(redis.call('XPENDING', JOBS, GROUP, '-', '+', 4096, worker)) do
        local fields = redis.call('XRANGE', JOBS, pending[1], pending[1])[1]
        local id = fields and fields[2][2]
        if id and not named[id] and redis.call('HGET', P .. 'job:' .. id, 'worker') == worker then
            put_back(id, pending[1], time)
            wake()
        end
    end
end
return answer
