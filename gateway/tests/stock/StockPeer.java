// The TLS of an unmodified X-Road 7 server: JSSE, TLS 1.2, its three suites, mutual, whoever the other is.
//
// StockPeer client PORT KEYSTORE CONNECTIONS RECORDS SEED | StockPeer server KEYSTORE CONNECTIONS
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Random;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

class StockPeer {
    static final String[] SUITES = {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"};
    static final String[] VERSIONS = {"TLSv1.2"};

    static class Anybody implements X509TrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type) {}
        public void checkServerTrusted(X509Certificate[] chain, String type) {}
        public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
    }

    static SSLContext context(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream(file), "secret".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(store, "secret".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), new TrustManager[] {new Anybody()}, null);
        return context;
    }

    public static void main(String[] words) throws Exception {
        if (words[0].equals("client")) {
            client(context(words[2]), Integer.parseInt(words[1]), Integer.parseInt(words[3]),
                Integer.parseInt(words[4]), new Random(Long.parseLong(words[5])));
        } else {
            server(context(words[1]), Integer.parseInt(words[2]));
        }
    }

    static void client(SSLContext context, int port, int connections, int records, Random random) throws Exception {
        for (int connection = 0; connection < connections; connection++) {
            try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", port)) {
                socket.setTcpNoDelay(true);
                socket.setEnabledProtocols(VERSIONS);
                socket.setEnabledCipherSuites(SUITES);
                socket.startHandshake();
                OutputStream out = socket.getOutputStream();
                DataInputStream in = new DataInputStream(socket.getInputStream());
                for (int record = 0; record < records; record++) {
                    byte[] bytes = new byte[1 + random.nextInt(1 << (1 + random.nextInt(14)))];
                    random.nextBytes(bytes);
                    out.write(ByteBuffer.allocate(4).putInt(bytes.length).array());
                    out.write(bytes);
                    byte[] back = new byte[bytes.length];
                    in.readFully(back);
                    if (!Arrays.equals(bytes, back)) throw new IllegalStateException("another record came back");
                }
                out.write(new byte[4]);
                if (in.read() != -1) throw new IllegalStateException("more than was sent");
                System.out.println(socket.getSession().getCipherSuite());
            }
        }
    }

    static void server(SSLContext context, int connections) throws Exception {
        SSLServerSocket door = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0);
        door.setEnabledProtocols(VERSIONS);
        door.setEnabledCipherSuites(SUITES);
        door.setNeedClientAuth(true);
        System.out.println(door.getLocalPort());
        for (int connection = 0; connection < connections; connection++) {
            try (SSLSocket socket = (SSLSocket) door.accept()) {
                socket.setTcpNoDelay(true);
                DataInputStream in = new DataInputStream(socket.getInputStream());
                OutputStream out = socket.getOutputStream();
                while (true) {
                    int length = in.readInt();
                    if (length == 0) break;
                    byte[] bytes = new byte[length];
                    in.readFully(bytes);
                    out.write(bytes);
                }
                if (socket.getSession().getPeerCertificates().length == 0) throw new IllegalStateException();
            }
        }
    }
}
