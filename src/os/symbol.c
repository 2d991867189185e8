/* SPDX-License-Identifier: MIT */
/* symbol.c - /proc/self/maps says which part of which file is at an address; the symbol table of an
 * ELF file, or the smaller one for the loader if it is stripped, has the names.
 *
 * A file that was replaced since it was loaded has " (deleted)" behind its name there, and cannot
 * be opened by it. Names of code that no file has (made at run time) are not known either.
 */
#include "os/symbol.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "os/file.h"

enum { PATH_SIZE = 512, CHUNK = 512, SYMBOLS = 32 };

/* Which file is mapped where. */

/* A line of the kernel's: "first-end rights offset device inode path". */
struct mapping {
    uint64_t first, end;
    uint64_t offset; /* in the file, of `first` */
    char path[PATH_SIZE];
};

/* A file that is read byte by byte. */
struct reader {
    int fd;
    int byte; /* the one that is to be looked at; -1: the end */
    size_t at, have;
    char bytes[CHUNK];
};

static void advance(struct reader *reader)
{
    if (reader->at == reader->have) {
        long n = weir__file_read(reader->fd, reader->bytes, sizeof reader->bytes);
        reader->at = 0;
        reader->have = n > 0 ? (size_t)n : 0;
    }
    bool more = reader->at < reader->have;
    reader->byte = more ? (unsigned char)reader->bytes[reader->at++] : -1;
}

static bool in_field(const struct reader *reader)
{
    return reader->byte != ' ' && reader->byte != '\n' && reader->byte >= 0;
}

static void skip_field(struct reader *reader)
{
    while (in_field(reader))
        advance(reader);
    while (reader->byte == ' ')
        advance(reader);
}

/* A number in hexadecimal digits, and one byte more. */
static uint64_t read_hex(struct reader *reader)
{
    uint64_t number = 0;
    for (; in_field(reader) && reader->byte != '-'; advance(reader))
        number = number << 4 |
                 (uint64_t)(reader->byte <= '9' ? reader->byte - '0' : reader->byte - 'a' + 10);
    if (reader->byte == '-')
        advance(reader);
    return number;
}

static void read_line(struct reader *reader, struct mapping *ret)
{
    ret->first = read_hex(reader);
    ret->end = read_hex(reader);
    skip_field(reader); /* what is left of it */
    skip_field(reader);
    ret->offset = read_hex(reader);
    for (unsigned i = 0; i < 3; i++)
        skip_field(reader);
    size_t length = 0;
    for (; reader->byte != '\n' && reader->byte >= 0; advance(reader))
        if (length < PATH_SIZE)
            ret->path[length++] = (char)reader->byte;
    ret->path[length < PATH_SIZE ? length : 0] = '\0'; /* too long: none */
    advance(reader);
}

static bool find_mapping(uint64_t address, struct mapping *ret)
{
    struct reader reader = {.fd = weir__file_open("/proc/self/maps")};
    bool found = false;
    if (reader.fd < 0)
        return false;
    for (advance(&reader); reader.byte >= 0 && !found;) {
        read_line(&reader, ret);
        found = ret->first <= address && address < ret->end;
    }
    weir__file_close(reader.fd);
    return found && ret->path[0] == '/';
}

/* Names in a file. */

static bool is_program(const ElfW(Ehdr) * header)
{
    unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == class &&
           header->e_shentsize == sizeof(ElfW(Shdr)) && header->e_phentsize == sizeof(ElfW(Phdr));
}

/* The address that the symbols have for what is at `offset` of the file. */
static bool address_in_file(int fd, const ElfW(Ehdr) * header, uint64_t offset, uint64_t *ret)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) part;
        if (weir__file_read_at(fd, &part, sizeof part, header->e_phoff + i * sizeof part) != 0)
            return false;
        if (part.p_type == PT_LOAD && part.p_offset <= offset &&
            offset - part.p_offset < part.p_filesz) {
            *ret = offset - part.p_offset + part.p_vaddr;
            return true;
        }
    }
    return false;
}

/* The table of all symbols, or the loader's; and their texts. */
static bool find_tables(int fd, const ElfW(Ehdr) * header, ElfW(Shdr) * ret_symbols,
                        ElfW(Shdr) * ret_texts)
{
    bool found = false;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        ElfW(Shdr) section;
        if (weir__file_read_at(fd, &section, sizeof section,
                               header->e_shoff + i * sizeof section) != 0)
            return false;
        if (section.sh_type != SHT_SYMTAB && (section.sh_type != SHT_DYNSYM || found))
            continue;
        *ret_symbols = section;
        found = true;
        if (section.sh_type == SHT_SYMTAB)
            break;
    }
    return found && ret_symbols->sh_link < header->e_shnum &&
           weir__file_read_at(fd, ret_texts, sizeof *ret_texts,
                              header->e_shoff + ret_symbols->sh_link * sizeof *ret_texts) == 0;
}

/* Where in the file the name of the function is; 0: there is none. */
static uint64_t find_name(int fd, const ElfW(Shdr) * symbols, const ElfW(Shdr) * texts,
                          uint64_t address)
{
    uint64_t found = 0, count = symbols->sh_size / sizeof(ElfW(Sym));
    for (uint64_t i = 0; i < count;) {
        ElfW(Sym) some[SYMBOLS];
        uint64_t n = count - i < SYMBOLS ? count - i : SYMBOLS;
        if (weir__file_read_at(fd, some, (size_t)n * sizeof some[0],
                               symbols->sh_offset + i * sizeof some[0]) != 0)
            break;
        for (uint64_t k = 0; k < n; k++) {
            bool function = (some[k].st_info & 0xf) == STT_FUNC && some[k].st_shndx != SHN_UNDEF;
            if (function && some[k].st_value == address)
                return texts->sh_offset + some[k].st_name;
            if (function && some[k].st_value < address &&
                address - some[k].st_value < some[k].st_size)
                found = texts->sh_offset + some[k].st_name;
        }
        i += n;
    }
    return found;
}

/* Reads a text of unknown length. */
static bool read_text(int fd, uint64_t offset, char *ret, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (weir__file_read_at(fd, ret + i, 1, offset + i) != 0)
            return false;
        if (ret[i] == '\0')
            return i > 0;
    }
    ret[size - 1] = '\0';
    return true;
}

static bool name_in_file(const struct mapping *mapping, uint64_t offset, char *ret, size_t size)
{
    int fd = weir__file_open(mapping->path);
    if (fd < 0)
        return false;
    ElfW(Ehdr) header;
    ElfW(Shdr) symbols, texts;
    uint64_t address, name = 0;
    if (weir__file_read_at(fd, &header, sizeof header, 0) == 0 && is_program(&header) &&
        address_in_file(fd, &header, offset, &address) &&
        find_tables(fd, &header, &symbols, &texts))
        name = find_name(fd, &symbols, &texts, address);
    bool found = name != 0 && read_text(fd, name, ret, size);
    weir__file_close(fd);
    return found;
}

/* "file+0x10", or the number alone if `file` is empty; cut to `size`. */
static void write_place(const char *file, uint64_t number, char *ret, size_t size)
{
    char text[2 * sizeof number + 1];
    size_t at = sizeof text - 1;
    text[at] = '\0';
    do
        text[--at] = "0123456789abcdef"[number & 0xf];
    while ((number >>= 4) != 0);
    const char *parts[] = {file, *file != '\0' ? "+0x" : "0x", &text[at]};
    for (size_t i = 0; i < 3; i++)
        for (const char *c = parts[i]; *c != '\0' && size > 1; c++, size--)
            *ret++ = *c;
    if (size > 0)
        *ret = '\0';
}

void weir__symbol(uintptr_t address, char *ret, size_t size)
{
    struct mapping mapping;
    if (!find_mapping(address, &mapping)) {
        write_place("", address, ret, size);
        return;
    }
    uint64_t offset = address - mapping.first + mapping.offset;
    if (name_in_file(&mapping, offset, ret, size))
        return;
    write_place(strrchr(mapping.path, '/') + 1, offset, ret, size);
}
